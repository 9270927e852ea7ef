/** Copies for a human to look at: bytes that could not be read, or that the store would not take. */
import { copyFile, link, mkdir, open } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { SegmentFile } from './reader.ts';
import { segmentHeaderBytes, segmentPath } from './segment.ts';

/** Keeps a damaged segment in `fenced/`, whatever happens to it here. */
export async function keepSegment(dir: string, number: number): Promise<string> {
  const folder = join(dir, 'fenced');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const path = segmentPath(dir, number);
  const kept = join(folder, basename(path));
  try {
    await link(path, kept);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return kept;
    await copyFile(path, kept);
  }
  await syncFolder(folder);
  return kept;
}

/** Writes a stretch of a segment to `quarantine/`, in segment format, durably. */
export async function quarantineFrames(dir: string, segment: SegmentFile, from: number, to: number): Promise<string> {
  const folder = join(dir, 'quarantine');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const start = Math.max(from, segmentHeaderBytes);
  const bytes = Buffer.alloc(segmentHeaderBytes + to - start);
  await segment.file.read(bytes, 0, segmentHeaderBytes, 0);
  await segment.file.read(bytes, segmentHeaderBytes, to - start, start);
  const path = join(folder, `${String(segment.number).padStart(12, '0')}-${from}.seg`);
  const file = await open(path, 'w', 0o600);
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
  await syncFolder(folder);
  return path;
}

async function syncFolder(dir: string): Promise<void> {
  const folder = await open(dir, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
