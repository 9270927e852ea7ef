import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { replaceFile } from './replace-file.ts';
import { JournalRefused } from './unavailable.ts';

/** How far the store has acknowledged: everything before `offset` of `segment`, and all segments before it. */
export interface ShippedPosition {
  readonly segment: number;
  readonly offset: number;
  readonly writer: string;
  /** Every leaf of `writer` below this was given to the store; an index is never used twice. */
  readonly nextLeaf: number;
}

const name = 'shipped.json';

export async function readPosition(dir: string): Promise<ShippedPosition | undefined> {
  let text: string;
  try {
    text = await readFile(join(dir, name), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const { segment, offset, writer, nextLeaf } = JSON.parse(text) as Record<string, unknown>;
    if (isCount(segment) && isCount(offset) && isCount(nextLeaf) && typeof writer === 'string')
      return { segment, offset, writer, nextLeaf };
  } catch {
    // Falls through: a damaged position is not guessed at.
  }
  throw new JournalRefused(
    'journal_unreadable',
    `${name} in ${dir} is damaged; removing it ships every segment again, which doubles nothing`,
  );
}

export function writePosition(dir: string, position: ShippedPosition): Promise<void> {
  return replaceFile(join(dir, name), `${JSON.stringify(position)}\n`);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
