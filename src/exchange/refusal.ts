import { type ErrorCode, errorBody, errorHeaders, errorRow } from './errors.ts';
import type { FormatId } from './facts.ts';

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
  readonly format?: FormatId;
}): Refusal {
  const { code, session, format } = about;
  const row = errorRow(code);
  return {
    status: row.status,
    headers: errorHeaders(code, session),
    body: errorBody(format, code, about.message ?? `${row.meaning} ${row.fix}`, session),
  };
}
