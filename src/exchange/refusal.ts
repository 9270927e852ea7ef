import { type ErrorCode, errorHeaders, errorRow } from './errors.ts';
import { formatById } from './formats.ts';
import { openaiChat } from './openai-chat.ts';

/** A refusal as it is sent: status, headers, and a body in the shape of the caller's API. */
export interface Refusal {
  readonly status: number;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string;
}

/** Renders a row of the error table. Without a message the row's own meaning and fix are sent. */
export function refusal(about: {
  readonly code: ErrorCode;
  readonly message?: string;
  readonly session: string | undefined;
  /** In whose shape (a FormatId); OpenAI's where it is not known. */
  readonly format?: string | undefined;
}): Refusal {
  const { code, session = '', format } = about;
  const row = errorRow(code);
  const said = about.message ?? `${row.meaning} ${row.fix}`;
  const message = session === '' ? said : `${said} (session ${session})`;
  const shape = (format === undefined ? undefined : formatById(format)) ?? openaiChat;
  return {
    status: row.status,
    headers: [...errorHeaders(code, session), ...requestIdHeaders(shape.id, session)],
    body: shape.error({ code, row, message, session }),
  };
}

/** What an API's own SDK shows as the id of a request, where that is not `x-request-id`: the Anthropic API reference, "Errors". */
export function requestIdHeaders(format: string, id: string): readonly (readonly [name: string, value: string])[] {
  return format === 'anthropic-messages' && id !== '' ? [['request-id', id]] : [];
}
