/** Tokens that nobody reported, estimated. */

/** As in the estimate of a request's tokens (src/exchange): about 4 characters a token, in English. */
const charactersPerToken = 4;

/** What a response is charged whose model reports no usage: by the characters (or bytes) that were delivered. */
export function deliveredTokens(characters: number): number {
  return Math.ceil(Math.max(0, characters) / charactersPerToken);
}
