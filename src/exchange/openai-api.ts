/** What the APIs of OpenAI's family have in common: the shape of errors, the list of models, carriers of held text. */
import type { ErrorText, PathStep } from './format.ts';

/** SDKs differ: OpenAI's compares the data itself, others trim it or look at its beginning only. */
export const isDone = (data: string): boolean => data.trim() === '[DONE]';

/** The session goes into the message as well: SDKs show the message first. */
export const openaiError = ({ code, row, message }: ErrorText): string =>
  JSON.stringify({ error: { message, type: row.type, param: null, code } });

export const openaiModelList = (names: readonly string[]): string =>
  JSON.stringify({
    object: 'list',
    data: names.map((id) => ({ id, object: 'model', created: 0, owned_by: 'sallyport' })),
  });

/** An event with the channel's header and its one text; nothing else that it could have is in it. */
export function carried(header: string, path: readonly PathStep[], text: string): string {
  let value: unknown = text;
  for (let depth = path.length - 1; depth >= 0; depth--) {
    const step = path[depth]!;
    if (typeof step === 'string') value = { [step]: value };
    else if (!step.indexed || typeof value !== 'object') value = [...Array(step.item).fill({}), value];
    else
      value = [
        { index: step.item, ...value, ...(depth === 1 && path[0] === 'choices' ? { finish_reason: null } : {}) },
      ];
  }
  return withHeader(header, value as object);
}

/** One choice with the channel's index and its field only, `finish_reason` null; another text of the event beside no choice. */
export function choiceCarrier(header: string, path: readonly PathStep[], text: string): string {
  return path[0] === 'choices'
    ? carried(header, path, text)
    : carried(header === '' ? '"choices":[]' : `${header},"choices":[]`, path, text);
}

/** An object whose first members are a header's. */
export function withHeader(header: string, members: object): string {
  const body = JSON.stringify(members);
  return header === '' ? body : `{${header},${body.slice(1)}`;
}
