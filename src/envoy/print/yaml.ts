/** YAML with comments: what is printed is read by people before it is applied. */
import { Document, isMap, isScalar, isSeq, Scalar } from 'yaml';
import type { Json } from '../bootstrap.ts';

/** A comment before the key (or list item) at a path. */
export type Note = readonly [path: readonly (string | number)[], text: string];

export interface CommentedDocument {
  readonly value: Json;
  /** Comment above the whole document. */
  readonly head: string;
  readonly notes: readonly Note[];
}

/** One or more documents, separated by `---`. Throws when a note names a path that is not there: no comment gets lost. */
export function yamlText(documents: readonly CommentedDocument[]): string {
  return documents.map((document) => `${comment(document.head)}\n${body(document)}`).join('---\n');
}

function comment(text: string): string {
  return text
    .split('\n')
    .map((line) => (line === '' ? '#' : `# ${line}`))
    .join('\n');
}

function body({ value, notes }: CommentedDocument): string {
  const document = new Document(value, { aliasDuplicateObjects: false });
  for (const [path, text] of notes) annotate(document, path, text);
  return document.toString({ lineWidth: 0 });
}

function annotate(document: Document, path: readonly (string | number)[], text: string): void {
  const parent = document.getIn(path.slice(0, -1), true);
  const last = path.at(-1);
  const lines = text
    .split('\n')
    .map((line) => ` ${line}`)
    .join('\n');
  if (isMap(parent)) {
    const pair = parent.items.find(({ key }) => (isScalar(key) ? key.value : key) === last);
    if (pair !== undefined) {
      const key = isScalar(pair.key) ? pair.key : new Scalar(pair.key);
      key.commentBefore = lines;
      pair.key = key;
      return;
    }
  }
  const item = isSeq(parent) && typeof last === 'number' ? parent.items[last] : undefined;
  if (!isMap(item) && !isScalar(item)) throw new Error(`a comment on what is not there: ${path.join('.')}`);
  item.commentBefore = lines;
}
