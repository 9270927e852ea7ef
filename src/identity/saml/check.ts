/** Whether an assertion is for us, now, and in answer to what we asked (SAML profiles §4.1.4, RFC 7522 §3). */
import { type IdentityRefusal, refuse } from '../caller.ts';
import type { Assertion, Confirmation } from './assertion.ts';

export interface Rules {
  /** Issuer of assertions and responses. */
  readonly entityId: string;
  /** Names of this gateway. */
  readonly audiences: readonly string[];
  /** Where the message was sent: the assertion consumer service, or the token endpoint. */
  readonly recipient: string;
  /** ID of our request; undefined: it was none (RFC 7522). */
  readonly requestId: string | undefined;
  readonly maxAgeMs: number;
  readonly leewayMs: number;
  /** Epoch milliseconds. */
  readonly nowMs: number;
}

/** @returns what is wrong, or undefined. */
export function checkAssertion(assertion: Assertion, rules: Rules): IdentityRefusal | undefined {
  if (assertion.issuer !== rules.entityId) return refuse('issuer_unknown', 'Issuer of the assertion is not entityId');
  if (assertion.audiences.length === 0) return refuse('audience_wrong', 'the assertion has no AudienceRestriction');
  if (!assertion.audiences.every((names) => names.some((name) => rules.audiences.includes(name))))
    return refuse('audience_wrong', 'Audience does not name this gateway');
  return (
    checkDates(assertion, rules) ?? checkConfirmations(assertion.confirmations, rules) ?? checkLogins(assertion, rules)
  );
}

function checkDates(assertion: Assertion, rules: Rules): IdentityRefusal | undefined {
  const { nowMs, leewayMs } = rules;
  if (assertion.issuedAtMs > nowMs + leewayMs) return refuse('token_not_yet_valid', 'IssueInstant is in the future');
  if (assertion.notBeforeMs > nowMs + leewayMs)
    return refuse('token_not_yet_valid', 'NotBefore of the conditions is in the future');
  if (nowMs >= assertion.notOnOrAfterMs + leewayMs)
    return refuse('token_expired', 'NotOnOrAfter of the conditions is in the past');
  if (nowMs > assertion.issuedAtMs + rules.maxAgeMs + leewayMs)
    return refuse('token_expired', 'IssueInstant is longer ago than maxAgeSeconds');
  return undefined;
}

/** One bearer confirmation must hold. */
function checkConfirmations(confirmations: readonly Confirmation[], rules: Rules): IdentityRefusal | undefined {
  if (confirmations.length === 0) return refuse('token_invalid', 'there is no bearer confirmation');
  const problems = confirmations.map((confirmation) => checkConfirmation(confirmation, rules));
  return problems.includes(undefined) ? undefined : problems[0];
}

function checkConfirmation(confirmation: Confirmation, rules: Rules): IdentityRefusal | undefined {
  const { requestId, nowMs, leewayMs } = rules;
  if (confirmation.recipient !== rules.recipient)
    return refuse('audience_wrong', 'Recipient is missing or not the address that it was sent to');
  if (confirmation.notOnOrAfterMs === undefined)
    return refuse('token_invalid', 'NotOnOrAfter of the confirmation is missing');
  if (nowMs >= confirmation.notOnOrAfterMs + leewayMs)
    return refuse('token_expired', 'NotOnOrAfter of the confirmation is in the past');
  if (confirmation.hasNotBefore) return refuse('token_invalid', 'a bearer confirmation has NotBefore');
  if (requestId !== undefined && confirmation.inResponseTo !== requestId)
    return refuse('token_invalid', 'InResponseTo of the confirmation is missing or not the request');
  return undefined;
}

/** Single sign-on is about somebody who has logged in (SAML profiles §4.1.4.2); RFC 7522 does not ask for it. */
function checkLogins(assertion: Assertion, rules: Rules): IdentityRefusal | undefined {
  const { logins } = assertion;
  if (rules.requestId !== undefined && logins.length === 0)
    return refuse('token_invalid', 'there is no AuthnStatement');
  if (logins.some(({ atMs }) => atMs > rules.nowMs + rules.leewayMs))
    return refuse('token_not_yet_valid', 'AuthnInstant is in the future');
  if (
    logins.some(
      ({ sessionEndsAtMs }) => sessionEndsAtMs !== undefined && rules.nowMs >= sessionEndsAtMs + rules.leewayMs,
    )
  )
    return refuse('token_expired', 'SessionNotOnOrAfter is in the past');
  return undefined;
}
