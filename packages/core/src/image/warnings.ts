/** What may be lost or forgiven, by code. */
export type WarningCode =
  /** Damage that every viewer forgives. */
  | 'damage-forgiven'
  /** Colours that no longer are what the file's profile says: converted, or beyond what the result can hold. */
  | 'colours-converted'
  /** A profile that cannot be read: its numbers were shown to the network as sRGB; the profile is kept. */
  | 'profile-not-understood'
  | 'depth-reduced'
  | 'transparency-lost'
  | 'frames-dropped'
  | 'metadata-dropped'
  /** A signed history (C2PA) that is no longer true of changed pixels. */
  | 'provenance-dropped'
  /** A video, a gain map or another picture behind the first. */
  | 'trailer-dropped';

/** Something that is not as it was, though nobody asked for it. */
export interface Warning {
  readonly code: WarningCode;
  /** One line for a person. */
  readonly message: string;
}

export function warning(code: WarningCode, message: string): Warning {
  return { code, message };
}
