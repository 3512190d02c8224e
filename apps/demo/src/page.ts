import { isElfinError, type Task } from '@elfin/core/web';

/** What the visitor can choose; `auto` looks for itself. */
export type Choice = Task | 'auto';

export const LABELS: Readonly<Record<Task, string>> = { derain: 'Rain', lowlight: 'Darkness', underwater: 'Water' };

export const $ = <E extends HTMLElement>(id: string) => document.getElementById(id) as E;

const message = $('message');

/** Says what went wrong, in sight wherever the page is scrolled to; nothing takes it away again. */
export function say(text?: string): void {
  message.hidden = text === undefined;
  message.textContent = text ?? '';
}

export function wordsOf(error: unknown): string {
  if (isElfinError(error)) return error.message;
  return `Something went wrong: ${error instanceof Error ? error.message : error}`;
}
