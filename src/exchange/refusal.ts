import { type ErrorCode, errorHeaders, errorRow } from './errors.ts';
import type { ErrorText, Format } from './format.ts';
import { formatById } from './formats.ts';
import { openaiChat } from './openai-chat.ts';

/** A refusal as it is sent: status, headers, and a body in the shape of the caller's API. */
export interface Refusal {
  readonly status: number;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string;
}

/** What is refused, and to whom. */
interface Refused {
  readonly code: ErrorCode;
  readonly message?: string;
  readonly session: string | undefined;
  /** In whose shape (a FormatId); OpenAI's where it is not known. */
  readonly format?: string | undefined;
  /** MCP: the id of the request, as JSON. */
  readonly rpcId?: string | undefined;
}

/** Renders a row of the error table. Without a message the row's own meaning and fix are sent. */
export function refusal(about: Refused): Refusal {
  const { shape, error } = textOf(about);
  return {
    status: error.row.status,
    headers: [...errorHeaders(about.code, about.session ?? ''), ...requestIdHeaders(shape.id, error.session)],
    body: shape.error(error),
  };
}

/** The same where the headers have gone already: the JSON of an event, and words for a body that is no JSON. */
export function streamRefusal(about: Refused): { readonly json: string; readonly words: string } {
  const { shape, error } = textOf(about);
  return { json: (shape.streamError ?? shape.error)(error), words: `[${error.code}] ${error.message}` };
}

function textOf({ code, message: words, session = '', format, rpcId }: Refused): { shape: Format; error: ErrorText } {
  const row = errorRow(code);
  const said = words ?? `${row.meaning} ${row.fix}`;
  const message = session === '' ? said : `${said} (session ${session})`;
  const shape = (format === undefined ? undefined : formatById(format)) ?? openaiChat;
  return { shape, error: { code, row, message, session, rpcId } };
}

/** What an API's own SDK shows as the id of a request, where that is not `x-request-id`: the Anthropic API reference, "Errors". */
export function requestIdHeaders(format: string, id: string): readonly (readonly [name: string, value: string])[] {
  return format === 'anthropic-messages' && id !== '' ? [['request-id', id]] : [];
}
