import { fingerprintOf, readPolicyFiles } from './files.ts';
import type { Origin } from './source.ts';

/** Policies from a folder: the files in it are what should be in force. */
export function folderOrigin(dir: string): Origin {
  let read = '';
  return {
    kind: 'folder',
    async read() {
      const found = await readPolicyFiles(dir);
      read = found.fingerprint;
      if (!found.ok) return { ok: false, problems: [found.problem] };
      return { ok: true, snapshot: { files: found.files, commit: undefined, by: '' } };
    },
    changed: async () => (await fingerprintOf(dir)) !== read,
    taken: async () => {},
  };
}
