import { type IdentityRefusal, refuse } from '../caller.ts';

/** Breaks off the reading of a message; `examine` makes the answer of it. */
export class Refused extends Error {
  override readonly name = 'Refused';
  readonly refusal: IdentityRefusal;

  constructor(reason: IdentityRefusal['reason'], detail: string) {
    super(detail);
    this.refusal = refuse(reason, detail);
  }
}

export const malformed = (detail: string): Refused => new Refused('token_malformed', detail);
export const invalid = (detail: string): Refused => new Refused('token_invalid', detail);
