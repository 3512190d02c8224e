/** Longer than a signal takes through two programs, shorter than a person who presses Ctrl-C again. */
const WITHIN_MS = 500;

/**
 * Takes a signal that comes twice at once for one. A terminal sends Ctrl-C to every process of the group, and npm, npx and
 * our own launcher pass theirs on as well; verbs listen once, so that the second would end the process in the midst of its
 * ending. What comes later than that still does.
 */
export function joinRepeatedSignals(): void {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      if (process.listenerCount(signal) === 0) {
        // Nobody else listens: what would have happened without this.
        process.kill(process.pid, signal);
        return;
      }
      const ignore = () => undefined;
      process.on(signal, ignore);
      setTimeout(() => process.off(signal, ignore), WITHIN_MS).unref();
    });
  }
}
