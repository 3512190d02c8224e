import { type BareItem, isValidTokenStr, parseItem, serializeItem, Token } from 'structured-headers';
import { ElfinError } from '../base/errors.ts';

/** The response header's name. */
export const RESTORE_STATUS = 'Restore-Status';

/**
 * What became of the restoration that a response was asked for:
 * `restored`, the body is the result · `pending`, it is being made and the body, if any, is an interim one ·
 * `degraded`, it could not be made and the body is the source, made ready in every other way · `passthrough`, nothing was
 * to be restored.
 */
export type RestoreStatus =
  | { readonly state: 'restored' }
  /** `job`: names the work under `/jobs/`. `eta`: seconds from now, a guess. */
  | { readonly state: 'pending'; readonly job?: string; readonly eta?: number }
  /** `reason`: a word for programs, an RFC 9651 token such as `busy`. */
  | { readonly state: 'degraded'; readonly reason: string }
  | { readonly state: 'passthrough' };

/** `Restore-Status` as an RFC 9651 item: `pending;job="3f";eta=4`. Errors: OPTION_INVALID for what the header cannot carry. */
export function formatRestoreStatus(status: RestoreStatus): string {
  const parameters = new Map<string, BareItem>();
  if (status.state === 'pending') {
    if (status.job !== undefined) parameters.set('job', printable(status.job));
    if (status.eta !== undefined) parameters.set('eta', seconds(status.eta));
  }
  if (status.state === 'degraded') parameters.set('reason', token(status.reason));
  return serializeItem([new Token(status.state), parameters]);
}

/**
 * Reads the header; undefined for anything that is not exactly one well-formed status: absent, malformed, an unknown state,
 * a parameter of the wrong type. Parameters that this version does not know are passed over.
 */
export function parseRestoreStatus(value: string | null | undefined): RestoreStatus | undefined {
  if (!value) return undefined;
  let state: BareItem;
  let parameters: ReadonlyMap<string, BareItem>;
  try {
    [state, parameters] = parseItem(value);
  } catch {
    return undefined;
  }
  if (!(state instanceof Token)) return undefined;
  switch (state.toString()) {
    case 'restored':
      return { state: 'restored' };
    case 'passthrough':
      return { state: 'passthrough' };
    case 'degraded': {
      const reason = parameters.get('reason');
      return reason instanceof Token ? { state: 'degraded', reason: reason.toString() } : undefined;
    }
    case 'pending': {
      const job = parameters.get('job');
      const eta = parameters.get('eta');
      if (job !== undefined && typeof job !== 'string') return undefined;
      if (eta !== undefined && !(typeof eta === 'number' && Number.isSafeInteger(eta) && eta >= 0)) return undefined;
      return { state: 'pending', ...(job === undefined ? {} : { job }), ...(eta === undefined ? {} : { eta }) };
    }
    default:
      return undefined;
  }
}

function printable(text: string): string {
  if (/^[\x20-\x7e]*$/.test(text)) return text;
  throw new ElfinError('OPTION_INVALID', 'A job id in Restore-Status must be printable ASCII.');
}

function token(text: string): Token {
  if (isValidTokenStr(text)) return new Token(text);
  throw new ElfinError(
    'OPTION_INVALID',
    'The reason in Restore-Status must be one word (an RFC 9651 token), such as busy.',
  );
}

function seconds(value: number): number {
  if (value >= 0 && value < 1e12) return Math.ceil(value);
  throw new ElfinError('OPTION_INVALID', `eta in Restore-Status is seconds from 0 on, not ${value}.`);
}
