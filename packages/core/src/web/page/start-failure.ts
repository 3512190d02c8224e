/** Why a worker did not come up, and what to do; `blocked` are the directives that the page's policy has been found to enforce. */
export function explainStart(cause: unknown, blocked: readonly string[]): string {
  const directive = blocked.find((name) => /^(worker|child|script|default)-src/.test(name));
  if (directive) {
    return `: the page’s Content Security Policy forbids it (${directive}); allow the folder that web-worker.js is in, and blob: where that is on another site.`;
  }
  if ((cause as Error | undefined)?.name === 'SecurityError') {
    return ': it is on another site than the page; give `assets`, the address of a folder with elfin’s files (see docs/browser.md).';
  }
  const isolated = globalThis.crossOriginIsolated
    ? ', with the header Cross-Origin-Embedder-Policy: require-corp that a cross-origin isolated page like this one needs'
    : '';
  return `: serve web-worker.js beside the page’s script${isolated}, or say where it is by \`assets\` (see docs/browser.md).`;
}
