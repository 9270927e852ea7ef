/** Why a function cannot say anything: a stable code for the record, never the values. */
export class FunctionError extends Error {
  readonly code: FunctionErrorCode;
  constructor(code: FunctionErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

export type FunctionErrorCode =
  | 'invalid_argument'
  | 'index_out_of_bounds'
  | 'numeric_overflow'
  | 'text_too_long'
  | 'guard_failed'
  | 'guard_not_asked';

export function invalid(message: string): FunctionError {
  return new FunctionError('invalid_argument', message);
}

/** Longest text that a function or `+` may make, in UTF-16 units. */
export const maxTextLength = 4 * 1024 * 1024;

/** Throws before a text is made that would be too long. */
export function checkLength(length: number): void {
  if (length > maxTextLength)
    throw new FunctionError('text_too_long', `a text of more than ${maxTextLength} characters`);
}

const maxInt = 2n ** 63n - 1n;
const minInt = -(2n ** 63n);

/** The value, if it is an int (64 bits). */
export function checkInt(value: bigint): bigint {
  if (value > maxInt || value < minInt) throw new FunctionError('numeric_overflow', 'the int overflows');
  return value;
}
