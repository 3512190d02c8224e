/**
 * One photo from the machine's camera, as JPEG, by a viewfinder in `dialog` (a `<video>`, and buttons of a form with
 * `method=dialog` of which the one with the value `take` takes it); undefined where the visitor thinks better of it.
 * Errors: those of `getUserMedia`; {@link cameraWords} puts them into words.
 */
export async function takePhoto(dialog: HTMLDialogElement): Promise<Blob | undefined> {
  // What a machine without a GPU restores in less than a minute.
  const size = { width: { ideal: 1920 }, height: { ideal: 1080 } };
  const stream = await navigator.mediaDevices.getUserMedia({ video: { ...size, facingMode: 'environment' } });
  const video = dialog.querySelector('video')!;
  try {
    video.srcObject = stream;
    await video.play();
    dialog.returnValue = '';
    dialog.showModal();
    await new Promise((resolve) => dialog.addEventListener('close', resolve, { once: true }));
    return dialog.returnValue === 'take' ? await grab(video) : undefined;
  } finally {
    // The camera's light goes out.
    for (const track of stream.getTracks()) track.stop();
    video.srcObject = null;
  }
}

function grab(video: HTMLVideoElement): Promise<Blob> {
  const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
  canvas.getContext('2d')!.drawImage(video, 0, 0);
  return canvas.convertToBlob({ type: 'image/jpeg', quality: 0.95 });
}

/** Why there is no picture from the camera, and what to do. */
export function cameraWords(error: unknown): string {
  const { name, message } = error as Error;
  if (name === 'NotAllowedError')
    return 'This page may not use the camera; allow it in the browser, or choose a photo.';
  if (name === 'NotFoundError' || name === 'OverconstrainedError')
    return 'No camera was found; choose a photo instead.';
  if (name === 'NotReadableError') return 'Another program uses the camera; close it and try again, or choose a photo.';
  return `The camera cannot be used (${message}); choose a photo instead.`;
}
