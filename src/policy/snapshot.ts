/** What a set of policy files may be, wherever it comes from: a folder, a commit, a push. */

export const limits = {
  /** One file, bytes. */
  fileBytes: 1_048_576,
  /** All files of a set, bytes. */
  totalBytes: 4_194_304,
  files: 1000,
  /** Folders inside each other, the outermost included. */
  depth: 4,
} as const;

/** What lives beside the policies and is none: the models, the teams, and the cases of `sallyport policy test`. */
const besides = /^(models|teams)\.ya?ml$|\.cases\.ya?ml$/;

/** Whether a file is a policy by its path below the folder: names that begin with a dot, and what lives beside, are not. */
export function isPolicyPath(path: string): boolean {
  const parts = path.split('/');
  const name = parts.at(-1) ?? '';
  return /\.ya?ml$/.test(name) && !besides.test(name) && !parts.some((part) => part.startsWith('.'));
}

/**
 * What is wrong with a file that is no policy by its name and was meant to be one, or undefined. It would be left out without
 * a word, and a rule that denies with it. Any other file (README.md, OWNERS, deny.yaml.bak) may lie there.
 */
export function problemWithName(path: string): string | undefined {
  const parts = path.split('/');
  if (parts.some((part) => part.startsWith('.'))) return undefined;
  const ending = /\.(?:ya?ml|json)$/i.exec(parts.at(-1) ?? '')?.[0];
  return ending === undefined || ending === '.yaml' || ending === '.yml'
    ? undefined
    : `ends in ${ending}: policies end in .yaml or .yml. Rename it, or keep it elsewhere`;
}

/** Why a path cannot be one below a policy folder, or undefined. For paths that somebody sends. */
export function problemWithPath(path: string): string | undefined {
  const parts = path.split('/');
  if (parts.some((part) => part === '' || part === '.' || part === '..')) return 'is not a path below the folder';
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be there
  if (/[\\\u0000-\u001f\u007f]/.test(path) || !path.isWellFormed() || path.length > 512) return 'is not a plain path';
  if (parts.length > limits.depth) return `lies deeper than ${limits.depth} folders`;
  const misnamed = problemWithName(path);
  if (misnamed !== undefined) return misnamed;
  return isPolicyPath(path) ? undefined : 'is not a policy file (.yaml, .yml; not models, teams or cases)';
}

/** UTF-8 as it is, a byte order mark included; or where the first byte is that is not. */
export function textOf(bytes: Uint8Array): string | { readonly badByteAt: number } {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return { badByteAt: firstBadByte(bytes) };
  }
}

/** Halves what is undecided: a prefix decodes (`stream`: its end may be cut) exactly if no bad byte is in it. */
function firstBadByte(bytes: Uint8Array): number {
  const isGood = (end: number): boolean => {
    try {
      new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(0, end), { stream: end < bytes.length });
      return true;
    } catch {
      return false;
    }
  };
  let good = 0;
  let bad = bytes.length;
  while (bad - good > 1) {
    const middle = (good + bad) >> 1;
    if (isGood(middle)) good = middle;
    else bad = middle;
  }
  return good;
}
