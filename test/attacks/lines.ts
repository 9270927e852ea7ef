/**
 * What is to be thrown at the identity layer, at the readers of bodies and at masking, item by item, and the tests that throw it. An item without a test fails
 * `lines.test.ts`, and so does a test that is named here and gone.
 */

/** File in this folder → names of its tests, as they are written there or in the table that it takes them from. */
export type Tests = Readonly<Record<string, readonly string[]>>;

const gate = (...names: readonly string[]): Tests => ({ 'tokens-gate.test.ts': names });
const keys = (...names: readonly string[]): Tests => ({ 'token-keys.test.ts': names });
const signed = (...names: readonly string[]): Tests => ({ 'saml.test.ts': names });
const xml = (...names: readonly string[]): Tests => ({ 'saml-xml.test.ts': names });
const rules = (...names: readonly string[]): Tests => ({ 'saml-rules.test.ts': names });

const TOKENS: readonly (readonly [item: string, tests: Tests])[] = [
  ['none', gate('alg none', 'alg none with a signature')],
  ['None', gate('alg None')],
  ['nOnE', gate('alg nOnE')],
  ['empty signature', gate('an empty signature')],
  ['HS256 keyed with the RSA public key', gate('HS256 keyed with the RSA public key')],
  ['algorithm and key type mismatched', gate('RS256 and an EC key', 'ES256 and an RSA key')],
  [
    'two keys with one kid',
    {
      ...gate(
        'the key id of two keys, and neither’s signature',
        'the key id of two keys, signed by the first',
        'the key id of two keys, signed by the second',
      ),
      ...keys('two of one key id are each tried'),
    },
  ],
  ['embedded jwk', gate('its own key in jwk')],
  ['embedded jku', gate('its own key at jku', 'keys that a token names are never fetched')],
  ['embedded x5u', gate('its own certificate at x5u', 'keys that a token names are never fetched')],
  ['embedded x5c', gate('its own certificate in x5c')],
  ['kid as a path', gate('a path as key id')],
  ['kid as SQL', gate('SQL as key id')],
  ['kid of 10 kB', gate('a key id of 10 kB')],
  ['unknown crit', gate('an unknown crit')],
  ['b64:false', gate('b64: false')],
  ['nested JWT', gate('a nested JWT by its header', 'a JWT in a JWT')],
  ['JWE', gate('an encrypted token (JWE)')],
  ['an ID token as access token', gate('typ of an ID token', 'the claims of an ID token, where typ cannot tell')],
  ['a wrong typ', gate('typ of a logout token')],
  [
    'exp / nbf / iat missing',
    { ...gate('no exp', 'no iat', 'no nbf'), 'tokens.test.ts': ['no exp', 'no iat', 'no nbf'] },
  ],
  ['exp / nbf / iat string', gate('exp as a string', 'iat as a string', 'nbf as a string')],
  [
    'exp / nbf / iat float',
    {
      ...gate('dates with fractions'),
      'tokens.test.ts': ['exp with a fraction', 'iat with a fraction', 'nbf with a fraction beyond the leeway'],
    },
  ],
  ['exp / nbf / iat 1e308', gate('exp of 1e308', 'iat of 1e308', 'nbf of 1e308')],
  [
    'skew at ± the leeway',
    {
      ...gate(
        'exp just beyond the leeway',
        'iat just beyond the leeway',
        'nbf just beyond the leeway',
        'exp inside the leeway',
        'nbf at the leeway',
      ),
      'tokens.test.ts': ['exp a leeway ago', 'exp just inside the leeway', 'nbf a leeway ahead', 'iat a leeway ahead'],
    },
  ],
  ['aud array', gate('our aud in an array', 'an aud array without us', 'an aud array with an object')],
  ['aud missing', gate('no aud', 'an empty aud array')],
  ['aud prefix of ours', gate('a prefix of our aud')],
  ['iss with slash', gate('iss with a slash')],
  ['iss in other case', gate('iss in other case')],
  [
    'two issuers with the same sub',
    {
      ...gate('two issuers with the same sub, who are two callers'),
      ...keys('of two issuers with the same sub makes two people'),
    },
  ],
  ['duplicate claims', gate('a duplicate claim', 'a duplicate claim, once escaped')],
  ['__proto__ claim', gate('a __proto__ claim')],
  [
    '1 MB token',
    gate('a length of 1 MB: Envoy takes no headers of more than 60 KiB and ends the connection', 'more than 16 KiB'),
  ],
  ['bad base64 padding', gate('base64 padding', 'base64 padding in the claims')],
  ['two Authorization headers', gate('another Authorization header beside it, even the same')],
  ['two tokens in one', gate('two tokens in one', 'two tokens in one, by a comma')],
  [
    '10,000 random kids',
    keys(
      'are fetched once for 10,000 random key ids inside the cooldown, and others do not wait',
      'are fetched once a cooldown for made-up key ids also while the provider is down',
    ),
  ],
  ['key rotation inside the cooldown', keys('rotated inside the cooldown are refused until it is over, then accepted')],
  [
    'JWKS down past the cache',
    {
      ...keys('down past the cache: are used through an outage, and no longer than maxAgeSeconds'),
      ...gate('a provider whose keys cannot be fetched: 503, for it may pass later'),
    },
  ],
  ['JWKS huge', keys('are huge', 'are more than a hundred')],
  ['JWKS slow', keys('never end', 'never answer')],
  ['JWKS redirecting', keys('redirect')],
  [
    'JWKS at a private address',
    keys('are said to be at a link-local address', 'are said to be at a mapped private address'),
  ],
];

const SAML: readonly (readonly [item: string, tests: Tests])[] = [
  ['XSW 1', signed('XSW 1: the signed response inside the signature of another')],
  ['XSW 2', signed('XSW 2: the signed response beside its signature in another')],
  ['XSW 3', signed('XSW 3: another assertion before the signed one')],
  ['XSW 4', signed('XSW 4: the signed assertion inside another')],
  ['XSW 5', signed('XSW 5: the signature moved into another assertion, the signed one behind it')],
  ['XSW 6', signed('XSW 6: the signature moved into another assertion, the signed one inside it')],
  ['XSW 7', signed('XSW 7: another assertion in Extensions')],
  ['XSW 8', signed('XSW 8: the signed assertion as an Object of the signature of another')],
  ['signature removed', signed('signature removed', 'signature removed from both', 'no SignatureValue')],
  ['signature empty', signed('signature empty')],
  ['unsigned assertion in a signed response', signed('an unsigned assertion in a signed response')],
  [
    'signed assertion in an unsigned response',
    signed('signed: %s', 'the assertion good, the response signed by another', 'the response changed that was signed'),
  ],
  ['two SignedInfo', signed('two SignedInfo')],
  ['comment in DigestValue', xml('comment in DigestValue')],
  ['comment in NameID', xml('comment in NameID (CVE-2025-54419)')],
  ['duplicate IDs', signed('duplicate IDs', 'duplicate IDs in another spelling and namespace')],
  ['URI=""', signed('URI=""')],
  ['XSLT transform', signed('XSLT transform', 'XSLT transform without a stylesheet')],
  ['DOCTYPE', xml('DOCTYPE')],
  ['XXE', xml('XXE', 'XXE by parameter entity')],
  ['billion laughs', xml('billion laughs')],
  ['CRLF parser differentials (CVE-2025-25292)', xml('a lone CR (CVE-2025-25292)', 'a CR by reference')],
  [
    'namespace parser differentials (CVE-2025-25291/25292)',
    xml('namespaces by DOCTYPE (CVE-2025-25291)', 'a prefix that is bound to something else (CVE-2025-25292)'),
  ],
  [
    'XPath confusion (CVE-2024-45409)',
    xml('a digest of the changed assertion, in StatusDetail', 'two DigestValue', 'an ID that is an XPath'),
  ],
  [
    'HMAC confusion',
    signed('HMAC confusion: HMAC-SHA1 with the certificate', 'HMAC confusion: HMAC-SHA256 with the certificate'),
  ],
  [
    'attacker’s certificate in KeyInfo',
    signed("attacker's certificate in KeyInfo", "attacker's ECDSA certificate in KeyInfo"),
  ],
  ['encrypted but unsigned', { 'saml-bearer.test.ts': ['encrypted but unsigned'] }],
  ['expired', rules('expired', 'assertion expired in a new response', 'confirmation expired')],
  ['not yet valid', rules('not yet valid', 'NotBefore in the future')],
  ['audience of another', rules('audience of another', 'audience that begins like ours', 'no audience')],
  ['Recipient of another', rules('Recipient of another', 'no Recipient')],
  ['Destination of another', rules('Destination of another', 'no Destination')],
  ['Issuer of another', rules('Issuer of another', 'Issuer of another in the assertion')],
  [
    'replay (also at a second replica)',
    {
      'saml-replay.test.ts': [
        'an assertion is good once',
        'of twenty at once exactly one is taken',
        'a second replica that shares the state refuses it, too',
      ],
    },
  ],
  [
    'IdP-initiated when it is off',
    rules(
      'IdP-initiated: no InResponseTo',
      'IdP-initiated: without a request of ours nothing is read at all',
      'an unsolicited assertion in a response to ours',
    ),
  ],
  ['SHA-1', signed('SHA-1', 'SHA-1 as digest')],
];

const families = (...names: readonly string[]): Tests => ({ 'families.test.ts': names });
const body = (...names: readonly string[]): Tests => ({ 'body.test.ts': names });
const transport = (...names: readonly string[]): Tests => ({ 'transport.test.ts': names });
const also = (...tests: readonly Tests[]): Tests => Object.assign({}, ...tests) as Tests;

/** Of "Transport and parsing", what concerns bodies; families.test.ts has each for an endpoint of every family of APIs. */
const BODIES: readonly (readonly [item: string, tests: Tests])[] = [
  [
    'CL+TE',
    also(
      families('Content-Length and Transfer-Encoding at once: the connection is closed'),
      transport('Content-Length and Transfer-Encoding', 'Transfer-Encoding and Content-Length'),
    ),
  ],
  [
    'TE obfuscation',
    transport(
      'an unknown transfer encoding',
      'a space before the colon',
      'chunked that is not last',
      'stacked transfer encodings',
    ),
  ],
  ['trailers', also(families('trailers go no further, and Range is not asked for'), transport('with trailers'))],
  ['Expect', transport('Expect: 100-continue is answered by Envoy, and the model gets the body without it')],
  [
    'Range',
    also(
      families('trailers go no further, and Range is not asked for'),
      transport('do not reach the model, in whatever case, however often: it gets ours alone'),
    ),
  ],
  [
    'GET with a body',
    also(
      families('a GET with a body is refused'),
      transport('a GET with a body for the list of models is answered by the gate, body unread'),
    ),
  ],
  [
    'JSON: duplicate keys',
    also(
      families('a duplicate key'),
      body('a name twice', 'a name twice with the same value', 'a name twice further in'),
    ),
  ],
  [
    'JSON: duplicate keys, once escaped (mod\\u0065l)',
    also(families('a duplicate key, once escaped'), body('a name twice, once escaped')),
  ],
  [
    'JSON: case variants',
    also(
      families('a case variant of a name', 'a name in full width', 'a name with a zero width space'),
      body('another case of model', 'a Kelvin sign and a long s, as Go folds them', 'full width'),
    ),
  ],
  [
    'JSON: nesting 100,000',
    also(families('nesting of 100,000'), body('nesting of 100,000', 'nesting that never ends')),
  ],
  ['JSON: 1e400', also(families('1e400'), body('1e400', '-1e400'))],
  [
    'JSON: big integers',
    also(
      families('a big integer', 'an integer of 10,000 digits'),
      body('an integer beyond 2^53', 'an integer beyond 64 bits', 'a number of 100,000 digits'),
    ),
  ],
  ['JSON: NaN', also(families('NaN'), body('NaN', 'Infinity'))],
  ['JSON: BOM', also(families('a byte order mark'), body('a byte order mark'))],
  ['JSON: UTF-16', also(families('UTF-16'), body('UTF-16', 'UTF-16 with a mark', 'UTF-32'))],
  [
    'JSON: lone surrogates',
    also(
      families('a lone surrogate', 'a lone surrogate in UTF-8'),
      body('a lone high surrogate', 'surrogates the wrong way round', 'a surrogate in UTF-8'),
    ),
  ],
  [
    'JSON: trailing junk',
    also(families('trailing junk', 'two documents'), body('something behind it', 'a NUL behind it', 'two documents')),
  ],
  [
    'JSON: __proto__',
    also(
      families('__proto__ twice', '__proto__ as a name'),
      body('__proto__ twice', '__proto__ as a name', 'the model under __proto__'),
    ),
  ],
  ['Content-Type missing', families('no Content-Type')],
  ['Content-Type multipart', families('multipart')],
  ['Content-Type form', families('a form')],
  ['Content-Type with another charset', families('JSON in another charset')],
  ['Content-Type text/plain for JSON', families('text/plain')],
  ['Content-Type twice, or a list', also(families('a list of types'), body('sent twice'))],
  ['gzip', also(families('gzip', 'gzip in name alone'), body('gzip', 'x-gzip', 'gzip that does not say so'))],
  ['zstd', also(families('zstd'), body('zstd'))],
  ['br', also(families('br'), body('br'))],
  ['stacked encodings', also(families('a stacked encoding'), body('stacked', 'stacked in two headers'))],
  ['bombs', also(families('a bomb'), body('a bomb'))],
  [
    'body at limit−1, limit, limit+1',
    also(
      families('a body of limit − 1 and of the limit passes, of limit + 1 not, with its length and in chunks'),
      body('a body over the limit, whether it says its length or not, is refused and on the record'),
    ),
  ],
  [
    'chunked without length',
    also(
      families('a body in chunks without a length passes as it was'),
      transport('without a length, in one chunk', 'in two chunks with extensions'),
    ),
  ],
  ['slow loris', families('a slow loris is cut off, and the model hears nothing of it')],
];

const streams = (...names: readonly string[]): Tests => ({ 'masking-streams.test.ts': names });

/** What the transport, the framing and the lesser fields of an answer hide; what the text itself hides is apart. */
const STREAMS: readonly (readonly [item: string, tests: Tests])[] = [
  [
    'a secret split at every byte and every UTF-8 boundary',
    streams(
      'at every byte, of two bytes and three cuts as well',
      'at every character, over events',
      'into events of one character each, through Envoy',
    ),
  ],
  ['SSE with CR, LF, CRLF', streams('CR', 'LF', 'CRLF', 'line ends of all kinds in one event')],
  ['SSE: multi-line data', streams('data over several lines')],
  ['SSE: comments', streams('comments')],
  ['SSE: BOM', streams('a byte order mark', 'a byte order mark in the middle')],
  ['SSE: event, id and retry lines', streams('event, id and retry lines', 'an event without data')],
  ['SSE: data after [DONE]', streams('data after [DONE]')],
  ['SSE: last event without a newline', streams('a last event without a newline')],
  [
    'SSE: JSON under a lying content type',
    streams('JSON under a lying content type', 'events under a lying content type'),
  ],
  [
    'tool-call arguments by index',
    streams('tool-call arguments by index', 'tool-call arguments in escapes', 'custom tools'),
  ],
  ['function names', streams('function names', 'function names in pieces')],
  ['reasoning', streams('reasoning', 'reasoning_content')],
  ['refusal', streams('refusal')],
  ['logprobs and top_logprobs', streams('logprobs and top_logprobs')],
  ['token ids', streams('token ids')],
  ['n > 1 interleaved', streams('n > 1 interleaved')],
  ['echo', streams('echo: the prompt in a completion, its logprobs too')],
  ['prompt_logprobs', streams('prompt_logprobs')],
  [
    'error bodies',
    streams(
      'an error body of the API',
      'an error body of another shape',
      'an error body of text',
      'an error body as a problem',
      'an error in the stream',
    ),
  ],
  [
    'response headers and trailers',
    streams('response headers that could carry text do not pass', 'response trailers do not pass'),
  ],
  ['206', streams('206')],
  ['304', streams('304 has no body, and its headers are those of any answer')],
  ['compressed responses against our wish', streams('compressed against our wish', 'compressed without saying so')],
  ['unknown event types', streams('unknown event types', 'a field that nobody knows')],
  ['a response that never ends', streams('a response that never ends gives nothing away')],
  ['one event of 10 MB', streams('one event of 10 MB is refused')],
];

const text = (...names: readonly string[]): Tests => ({ 'masking-text.test.ts': names });

/** What the text itself hides. */
const TEXTS: readonly (readonly [item: string, tests: Tests])[] = [
  [
    'a secret split at every character and byte',
    text(
      'is masked wherever the text is cut in two, and in single characters',
      'is masked wherever the bytes of a stream are cut in two',
    ),
  ],
  ['homoglyphs', text('are an address: %s (%s)')],
  ['zero width', text('zero width spaces', 'zero width joiners', 'word joiners', 'byte order marks', 'tags')],
  ['full width', text('full width', 'mathematical digits', 'Arabic digits')],
  ['RTL marks', text('right-to-left marks', 'overrides of direction', 'isolates')],
  ['combining marks', text('combining marks', 'variation selectors')],
  ['soft hyphen', text('soft hyphens')],
  ['entities', text('HTML entities')],
  ['JSON \\u escapes', text('is masked in JSON escapes of an event, and of arguments in it')],
  ['base64', text('base64')],
  ['hex', text('hexadecimal digits')],
  ['spaced and newline-split digits', text('are a card: %j', 'no-break spaces and hyphens')],
];

/** Of these the test says that they pass, in answers, and SECURITY.md what to do about it: item → row of its table. */
export const NOTES: Readonly<Record<string, string>> = {
  entities: 'HTML entities',
  base64: 'base64',
  hex: 'hex digits',
};

export const LINES = {
  'Tokens (JWT)': TOKENS,
  SAML,
  'Transport and parsing: bodies': BODIES,
  'Masking: streams': STREAMS,
  'Masking: text': TEXTS,
} as const;
