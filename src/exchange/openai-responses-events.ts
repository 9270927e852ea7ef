/**
 * How the events of a Responses stream hang together. A `….delta` goes on with the text of its type and indexes, the
 * `….done` of the same name ends it and repeats it whole; other events have whole texts, if any. Source: the OpenAI API
 * reference, "Streaming events".
 */
import type { EventKind, EventKinds } from './format.ts';

/** Events whose texts are whole although their name does not say so: states of the response, of items and of tools. */
const whole =
  /^response\.(?:created|queued|in_progress|[a-z_.]+\.(?:done|added|in_progress|searching|generating|interpreting|calling|completed|failed|partial_image))$/;
const last = /^response\.(?:completed|failed|incomplete|cancelled)$/;
const argumentsDelta = /arguments\.delta$/;

export const responseEvents: EventKinds = {
  members: new Set(['type', 'output_index', 'item_id', 'content_index', 'summary_index', 'command_index']),
  kind,
};

function kind(said: ReadonlyMap<string, string>): EventKind {
  const type = said.get('type') ?? '';
  if (last.test(type)) return { scope: '', texts: 'complete', ends: undefined, terminal: true };
  if (type === 'error') return { scope: '', texts: 'complete', ends: 'all', terminal: false };
  if (type.endsWith('.delta'))
    return {
      scope: scopeOf(type.slice(0, -'.delta'.length), said),
      texts: argumentsDelta.test(type) ? 'json-pieces' : 'pieces',
      ends: undefined,
      terminal: false,
    };
  if (!whole.test(type))
    // Of an event that we have never heard of, each text may go on in the next one.
    return { scope: scopeOf(type, said), texts: 'pieces', ends: undefined, terminal: false };
  const ends = type.endsWith('.done') ? { scope: scopeOf(type.slice(0, -'.done'.length), said) } : undefined;
  return { scope: '', texts: 'complete', ends, terminal: false };
}

/** SDKs put a text together by its indexes; servers that send none (llama.cpp) tell items apart by their ids. */
function scopeOf(name: string, said: ReadonlyMap<string, string>): string {
  const item = said.get('output_index') ?? said.get('item_id') ?? '';
  const place = said.get('content_index') ?? said.get('summary_index') ?? said.get('command_index') ?? '';
  return `${name}/${item}/${place}`;
}
