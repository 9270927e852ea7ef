/** Who an assertion speaks of. */
import { type Caller, type IdentityRefusal, refuse } from '../caller.ts';
import type { SamlConfig } from '../config.ts';
import type { Assertion } from './assertion.ts';
import { nameIdFormats } from './names.ts';

const maxSubjectLength = 1024;
const maxGroups = 1000;
/** An assertion is minutes long; without SessionNotOnOrAfter the login that it tells of counts for an hour. */
const sessionMs = 3_600_000;
/** Entra ID writes this in place of groups when there are more than 150. */
const overage = 'http://schemas.microsoft.com/claims/groups.link';

/** A non-empty string without control characters: it ends up in headers, logs and terminals. */
const isPlainText = (value: string, maxLength: number): boolean =>
  value.length > 0 && value.length <= maxLength && !/\p{Cc}/u.test(value);

/**
 * `issuedAtMs` is IssueInstant: then the IdP vouched for them, whenever they had logged in. `expiresAtMs` is the earliest
 * SessionNotOnOrAfter (with the leeway), else an hour from now; the issuer of our tokens caps it.
 */
export function personOf(
  assertion: Assertion,
  config: SamlConfig,
  teamOf: (provider: string, subject: string, groups: readonly string[]) => string | undefined,
  nowMs: number,
): Caller | IdentityRefusal {
  const subject = subjectOf(assertion, config);
  if (typeof subject !== 'string') return subject;
  const groups = groupsOf(assertion, config);
  if ('ok' in groups) return groups;
  const [email = ''] = assertion.attributes.get(config.emailAttribute) ?? [];
  const ends = assertion.logins.map((login) => login.sessionEndsAtMs).filter((ms) => ms !== undefined);
  return Object.freeze({
    provider: config.name,
    issuer: assertion.issuer,
    subject,
    kind: 'person',
    email: isPlainText(email, 320) ? email : undefined,
    groups,
    team: teamOf(config.name, subject, groups),
    claims: claimsOf(assertion),
    proof: 'saml',
    tokenId: assertion.id,
    issuedAtMs: assertion.issuedAtMs,
    expiresAtMs: ends.length === 0 ? nowMs + sessionMs : Math.min(...ends) + config.leewaySeconds * 1000,
  });
}

const lasting: ReadonlySet<string> = new Set([
  nameIdFormats.persistent,
  nameIdFormats.emailAddress,
  nameIdFormats.unspecified,
]);

function subjectOf({ nameId, attributes, unread }: Assertion, config: SamlConfig): string | IdentityRefusal {
  const { subjectAttribute } = config;
  if (subjectAttribute !== undefined) {
    const [value = '', ...more] = attributes.get(subjectAttribute) ?? [];
    if (more.length > 0 || unread.includes(subjectAttribute) || !isPlainText(value, maxSubjectLength))
      return refuse('token_invalid', 'subjectAttribute is missing, or not one short plain text');
    return value;
  }
  if (nameId === undefined) return refuse('token_invalid', 'there is no NameID, and no subjectAttribute in the config');
  if (!lasting.has(nameId.format))
    return refuse(
      'token_invalid',
      nameId.format === nameIdFormats.transient
        ? 'the NameID is transient: have the IdP send a persistent one, or set subjectAttribute'
        : 'the NameID is not persistent, an e-mail address or unspecified: set subjectAttribute',
    );
  if (!isPlainText(nameId.value, maxSubjectLength))
    return refuse('token_invalid', 'the NameID is empty, too long, or not plain text');
  return nameId.value;
}

/** A rule that denies by group must not be passed by groups that we failed to read. */
function groupsOf({ attributes, unread }: Assertion, config: SamlConfig): readonly string[] | IdentityRefusal {
  if (attributes.has(overage)) return refuse('groups_unavailable', 'the IdP left the groups out: there are too many');
  if (config.groupsAttributes.some((name) => unread.includes(name)))
    return refuse('groups_unavailable', 'a group is not plain text');
  const names = config.groupsAttributes.flatMap((name) => attributes.get(name) ?? []);
  if (names.length > maxGroups) return refuse('groups_unavailable', `there are more than ${maxGroups} groups`);
  if (!names.every((name) => isPlainText(name, maxSubjectLength)))
    return refuse('groups_unavailable', 'a group is too long, or not plain text');
  const { prefix, rename, onlyRenamed } = config;
  const mapped = names.flatMap((name) => {
    if (Object.hasOwn(rename, name)) return rename[name] ?? [];
    return onlyRenamed ? [] : [`${prefix}${name}`];
  });
  return Object.freeze([...new Set(mapped)]);
}

/** Attributes as JSON: one value is a string, several a list. `nameIdFormat` beside them. */
function claimsOf({ attributes, nameId }: Assertion): Readonly<Record<string, unknown>> {
  const entries: [string, unknown][] = [...attributes].map(([name, values]) => [
    name,
    values.length === 1 ? values[0] : Object.freeze([...values]),
  ]);
  if (nameId !== undefined) entries.push(['nameIdFormat', nameId.format]);
  return Object.freeze(Object.fromEntries(entries));
}
