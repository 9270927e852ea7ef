import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export const root = join(import.meta.dirname, '../../..');

/** Markdown files of the project, as paths from the root with `/`. */
export function pages(): string[] {
  const folders = ['.', 'docs', 'protos', 'envoy'];
  return folders.flatMap((folder) =>
    names(join(root, folder))
      .filter((name) => name.endsWith('.md'))
      .map((name) => (folder === '.' ? name : `${folder}/${name}`)),
  );
}

function names(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

export const read = (page: string): string => readFileSync(join(root, page), 'utf8');

export interface Block {
  readonly language: string;
  readonly text: string;
  /** Path that its first line names, as in `# policies/models.yaml`. */
  readonly file: string | undefined;
}

/** The fenced blocks of a page, in order. */
export function blocks(page: string): Block[] {
  return [...read(page).matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].map(([, language = '', text = '']) => ({
    language,
    text,
    file: /^# (\S+\.yaml)\n/.exec(text)?.[1],
  }));
}

/** The rows of the first table below a heading, cells without their white space; the head left out. */
export function table(page: string, heading: string): string[][] {
  const text = read(page);
  const at = text.indexOf(`\n${heading}\n`);
  if (at < 0) throw new Error(`${page} has no "${heading}"`);
  const found = /(?:^\|.*\n)+/m.exec(text.slice(at));
  if (found === null) throw new Error(`${page} has no table below "${heading}"`);
  const lines = found[0].trimEnd().split('\n').slice(2);
  return lines.map((line) =>
    line
      .slice(1, -1)
      .split(/(?<!\\)\|/)
      .map((cell) => cell.trim()),
  );
}

/** What stands in backticks in a cell. */
export const codes = (cell: string): string[] => [...cell.matchAll(/`([^`]+)`/g)].map(([, code = '']) => code);

/** The anchors of a page's headings, as GitHub makes them. */
export function anchors(page: string): string[] {
  const prose = read(page).replace(/^```[\s\S]*?^```$/gm, '');
  return [...prose.matchAll(/^#{1,6} (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-'),
  );
}
