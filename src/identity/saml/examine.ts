/** The whole way of one message, from what was sent to what it says. Pure, but for the time it takes: it runs in a thread. */
import type { KeyObject } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { IdentityRefusal } from '../caller.ts';
import { type Assertion, dateOf, readAssertion } from './assertion.ts';
import { checkAssertion, type Rules } from './check.ts';
import { decryptAssertion } from './decrypt.ts';
import { decodeMessage } from './message.ts';
import { type IdpMetadata, readIdpMetadata } from './metadata.ts';
import { saml } from './names.ts';
import { invalid, malformed, Refused } from './refused.ts';
import { assertionOf, checkResponse, refuseCopies } from './response.ts';
import { asResponse, canReadAgain, readAgain } from './second-reading.ts';
import { keysOf, readSignature, refuseStraySignatures, type SignatureFacts, verifySignature } from './signature.ts';
import { messageOptions, provenOptions, readXml, type XmlElement, XmlProblem } from './xml.ts';

export interface MessageJob {
  /** `response`: base64 of a `Response`. `assertion`: base64url of an `Assertion` (RFC 7522). */
  readonly kind: 'response' | 'assertion';
  readonly encoded: string;
  /** Of the message, decoded. */
  readonly maxBytes: number;
  readonly rules: Rules;
  /** Of the IdP, PEM. */
  readonly certificates: readonly string[];
  /** PEM; undefined: encrypted assertions are refused. */
  readonly decryptionKey: string | undefined;
}

export interface MetadataJob {
  readonly kind: 'metadata';
  readonly text: string;
  readonly entityId: string;
}

export type Job = MessageJob | MetadataJob;

export type Examined =
  | { readonly ok: true; readonly assertion: Assertion }
  /** `keyUnknown`: none of the certificates fits; newer metadata may have one that does. */
  | (IdentityRefusal & { readonly keyUnknown?: true });

export type MetadataRead =
  | { readonly ok: true; readonly idp: IdpMetadata }
  /** `unexamined`: nobody has read it; it may be good. */
  | { readonly ok: false; readonly detail: string; readonly unexamined?: true };

class KeyUnknown extends Refused {}

export async function examine(job: MessageJob): Promise<Examined> {
  try {
    return { ok: true, assertion: await read(job) };
  } catch (error) {
    if (error instanceof KeyUnknown) return { ...error.refusal, keyUnknown: true };
    if (error instanceof Refused) return error.refusal;
    if (error instanceof XmlProblem) return malformed(error.message).refusal;
    throw error;
  }
}

export function examineMetadata(job: MetadataJob): MetadataRead {
  try {
    return { ok: true, idp: readIdpMetadata(job.text, job.entityId) };
  } catch (error) {
    if (error instanceof XmlProblem || error instanceof Refused) return { ok: false, detail: error.message };
    throw error;
  }
}

/** A document, and the signed elements in it. */
interface Source {
  readonly xml: string;
  readonly facts: SignatureFacts;
}

async function read(job: MessageJob): Promise<Assertion> {
  const xml = decodeMessage(job.encoded, job.kind === 'response' ? 'base64' : 'base64url', job.maxBytes);
  const root = readXml(xml, messageOptions);
  refuseCopies(root);
  const keys = keysOf(job.certificates);
  const used = new Set<number>();
  const outer = job.kind === 'response' ? openResponse(job, xml, root, keys, used) : bare(xml, root);
  const element = verified({ xml: outer.xml, facts: outer.facts }, keys, used);
  const assertion = readAssertion(element);
  const problem = checkAssertion(assertion, job.rules);
  if (problem !== undefined) throw new Refused(problem.reason, problem.detail);
  await compare(job, outer, assertion, used);
  return assertion;
}

/** Where the assertion is, and the signatures that count. */
interface Opened extends Source {
  /** For node-saml. */
  readonly response: string;
  readonly algorithms: readonly string[];
}

function openResponse(
  job: MessageJob,
  xml: string,
  root: XmlElement,
  keys: readonly KeyObject[],
  used: Set<number>,
): Opened {
  const found = assertionOf(root);
  const isPlain = found.local === 'Assertion';
  refuseStraySignatures(root, isPlain ? [root, found] : [root]);
  const outerFacts = readSignature(root);
  const facts = isPlain ? readSignature(found) : undefined;
  // Before anything is decrypted, and before anything the response says is believed.
  const response = outerFacts === undefined ? root : verified({ xml, facts: outerFacts }, keys, used);
  checkResponse(response, job.rules, requiredInstant(response));
  const outerAlgorithms = outerFacts === undefined ? [] : [outerFacts.method, outerFacts.digest];
  if (isPlain) {
    if (facts === undefined) throw invalid('the assertion is not signed');
    return { xml, facts, response: xml, algorithms: [...outerAlgorithms, facts.method, facts.digest] };
  }
  if (job.decryptionKey === undefined) throw invalid('the assertion is encrypted, and there is no decryptionKeyFile');
  const decrypted = decryptAssertion(assertionOf(response), job.decryptionKey, outerFacts !== undefined);
  return openDecrypted(decrypted);
}

/** An attacker who can change cipher text must not learn what came of it: one answer (`token_invalid`) for all that is wrong inside. */
function openDecrypted(xml: string): Opened {
  try {
    const root = readXml(xml, messageOptions);
    refuseCopies(root);
    return bare(xml, root);
  } catch (error) {
    if (error instanceof Refused && error.refusal.reason === 'token_invalid') throw error;
    if (error instanceof XmlProblem || error instanceof Refused)
      throw invalid('the encrypted assertion cannot be decrypted');
    throw error;
  }
}

function bare(xml: string, root: XmlElement): Opened {
  if (root.namespace !== saml || root.local !== 'Assertion') throw malformed('it is not a SAML assertion');
  refuseStraySignatures(root, [root]);
  const facts = readSignature(root);
  if (facts === undefined) throw invalid('the assertion is not signed');
  return { xml, facts, response: asResponse(xml), algorithms: [facts.method, facts.digest] };
}

function requiredInstant(response: XmlElement): number {
  const issuedAtMs = dateOf(response, 'IssueInstant');
  if (issuedAtMs === undefined) throw invalid('IssueInstant of the response is missing');
  return issuedAtMs;
}

function verified(source: Source, keys: readonly KeyObject[], used: Set<number>): XmlElement {
  const found = verifySignature(source.xml, source.facts, keys);
  if (found === undefined)
    throw new KeyUnknown('token_invalid', 'the signature does not fit the element and a certificate of the metadata');
  used.add(found.keyIndex);
  return found.element;
}

async function compare(
  job: MessageJob,
  opened: Opened,
  assertion: Assertion,
  used: ReadonlySet<number>,
): Promise<void> {
  if (!canReadAgain(opened.algorithms)) return;
  const certificates = job.certificates.filter((_, index) => used.has(index));
  const again = await readAgain(opened.response, certificates);
  if (again === undefined) throw invalid('node-saml does not take what we take');
  if (!isDeepStrictEqual(readAssertion(readXml(again, provenOptions)), assertion))
    throw invalid('node-saml reads another assertion than we do');
}
