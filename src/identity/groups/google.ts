import { type CryptoKey, importPKCS8, SignJWT } from 'jose';
import { claimAt } from '../claim-path.ts';
import type { GroupsConfig } from '../config/groups.ts';
import type { ProviderConfig } from '../config.ts';
import { AccessToken } from './access-token.ts';
import { apis, type GoogleApi, readGooglePage } from './google-apis.ts';
import { objectIn } from './lookup.ts';
import { readPages } from './paging.ts';
import { GroupsProblem } from './problem.ts';
import type { Claims, GroupsParts, GroupsSource } from './source.ts';

type Google = NonNullable<GroupsConfig['google']>;

/** ASCII atoms (RFC 5322 §3.2.3) and a host name; a quote is in them (o'brien), a backslash is not. */
const address = /^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$/;
/** Google takes an hour at most. */
const assertionSeconds = 600;

/** Groups of the caller by e-mail address, by the Directory or the Cloud Identity API, in the name of a service account. */
export function googleSource(provider: ProviderConfig, parts: GroupsParts): GroupsSource {
  const config = provider.groups.google;
  if (config === undefined) throw new TypeError('groups of google without `google`');
  const api = apis[config.api];
  const accessToken = accessTokenFor(config, api, parts);
  const base = (config.url ?? api.url).replace(/\/$/, '');
  return {
    questionFor({ claims }) {
      const email = emailOf(claims, provider);
      if (!email.ok) return email.problem;
      return {
        key: email.address,
        ask: (lookup) =>
          readPages(api.name, '', (page) =>
            readGooglePage(lookup, accessToken, api, `${base}${api.path(email.address, page)}`),
          ),
      };
    },
  };
}

type Email = { readonly ok: true; readonly address: string } | { readonly ok: false; readonly problem: string };

/**
 * The address that Google vouches for. A private Google account may be registered with an address of the company's domain,
 * and keeps it when the owner changes: only `hd` says that the account is the organisation's own
 * (https://developers.google.com/identity/gsi/web/guides/verify-google-id-token). Google's own domains need no `hd`.
 */
function emailOf(claims: Claims, provider: ProviderConfig): Email {
  const email = claimAt(claims, provider.emailClaim);
  if (typeof email !== 'string' || email.length > 254 || !address.test(email))
    return { ok: false, problem: 'the token has no e-mail address that Google can be asked about' };
  if (claims['email_verified'] !== true)
    return { ok: false, problem: 'the e-mail address of the token is not verified (email_verified)' };
  const fromGoogle = /^https:\/\/accounts\.google\.com\/?$/.test(provider.issuer);
  const isGoogles = /@gmail\.com$|\.gserviceaccount\.com$/i.test(email);
  const hd = claims['hd'];
  if (fromGoogle && !isGoogles && (typeof hd !== 'string' || hd === ''))
    return {
      ok: false,
      problem: 'the Google account is not one of an organisation (no hd), its address proves nothing',
    };
  return { ok: true, address: email };
}

/** https://developers.google.com/identity/protocols/oauth2/service-account: RFC 7523 §2.1 with Google's `scope`. */
function accessTokenFor(config: Google, api: GoogleApi, { now, readSecret }: GroupsParts): AccessToken {
  return new AccessToken({
    url: config.tokenUrl,
    now,
    form: async () => {
      const account = await readServiceAccount(
        await readSecret({ file: config.serviceAccountFile }).catch((cause: unknown) => {
          throw new GroupsProblem('the service account file cannot be read', { cause });
        }),
      );
      return {
        grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
        assertion: await assertionOf(account, config, api.scope, Math.floor(now() / 1000)),
      };
    },
    explain({ error }) {
      if (error === 'unauthorized_client')
        return `domain-wide delegation of the service account lacks the scope ${api.scope}`;
      if (error === 'invalid_grant')
        return 'the key of the service account was withdrawn, adminSubject is not a user, or the clock is wrong';
      return undefined;
    },
  });
}

interface Account {
  readonly email: string;
  readonly keyId: string;
  readonly key: CryptoKey;
}

/** The JSON key file of a service account. Rejects with GroupsProblem, which says nothing of what is in it. */
export async function readServiceAccount(text: string): Promise<Account> {
  const { type, client_email: email, private_key: key, private_key_id: keyId } = objectIn(text) ?? {};
  if (type !== 'service_account' || typeof email !== 'string' || typeof key !== 'string' || typeof keyId !== 'string')
    throw new GroupsProblem('the service account file is not the JSON key file of a service account');
  return {
    email,
    keyId,
    key: await importPKCS8(key, 'RS256').catch((cause: unknown) => {
      throw new GroupsProblem('the service account file holds no RSA private key', { cause });
    }),
  };
}

function assertionOf(account: Account, config: Google, scope: string, nowSeconds: number): Promise<string> {
  const jwt = new SignJWT({ scope })
    .setProtectedHeader({ alg: 'RS256', typ: 'JWT', kid: account.keyId })
    .setIssuer(account.email)
    .setAudience(config.tokenUrl)
    .setIssuedAt(nowSeconds)
    .setExpirationTime(nowSeconds + assertionSeconds);
  return (config.adminSubject === undefined ? jwt : jwt.setSubject(config.adminSubject)).sign(account.key);
}
