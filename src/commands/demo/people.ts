/** Someone whom the demo's OpenID provider knows. */
export interface Identity {
  /** What `sallyport token --as` and the provider call them; the token's `sub`. */
  readonly id: string;
  readonly kind: 'person' | 'service';
  readonly name: string;
  readonly email: string | undefined;
  readonly groups: readonly string[];
}

export const identities: readonly Identity[] = [
  { id: 'jane', kind: 'person', name: 'Jane Porter', email: 'jane@example.com', groups: ['ml-eng', 'pii-cleared'] },
  { id: 'sam', kind: 'person', name: 'Sam Okoro', email: 'sam@example.com', groups: ['contractors'] },
  { id: 'batch', kind: 'service', name: 'Nightly batch job', email: undefined, groups: ['services'] },
];

/** `aud` of the demo's access tokens. */
export const demoAudience = 'sallyport';

/** OAuth client through which people get tokens: public, no secret. */
export const peopleClient = 'sallyport-cli';

/** Extension grant (RFC 6749, 4.5): says who one is, and gets that person's token. For the demo only: it proves nothing. */
export const personGrant = 'urn:sallyport:demo:person';

/** Secret of a demo service. Not one: whoever reaches the demo's loopback port may have any of its tokens anyway. */
export const demoSecret = (id: string): string => `demo-${id}`;
