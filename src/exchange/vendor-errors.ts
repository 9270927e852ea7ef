/** Words that other APIs have for the rows of the error table. Status codes stay as they are. */
import type { ErrorRow } from './errors.ts';

interface VendorTypes {
  /** Anthropic's `error.type`. */
  readonly anthropic: string;
  /** Google's `error.status` (google.rpc.Code). */
  readonly google: string;
  /** Amazon Bedrock's exception. */
  readonly bedrock: string;
}

const byType: Readonly<Record<ErrorRow['type'], VendorTypes>> = {
  invalid_request_error: {
    anthropic: 'invalid_request_error',
    google: 'INVALID_ARGUMENT',
    bedrock: 'ValidationException',
  },
  authentication_error: {
    anthropic: 'authentication_error',
    google: 'UNAUTHENTICATED',
    bedrock: 'AccessDeniedException',
  },
  permission_error: {
    anthropic: 'permission_error',
    google: 'PERMISSION_DENIED',
    bedrock: 'AccessDeniedException',
  },
  rate_limit_error: {
    anthropic: 'rate_limit_error',
    google: 'RESOURCE_EXHAUSTED',
    bedrock: 'ThrottlingException',
  },
  server_error: { anthropic: 'api_error', google: 'INTERNAL', bedrock: 'InternalServerException' },
};

/** Where the status says more than the type. */
const byStatus: Readonly<Record<number, Partial<VendorTypes>>> = {
  413: { anthropic: 'request_too_large' },
  503: { google: 'UNAVAILABLE', bedrock: 'ServiceUnavailableException' },
};

const byCode: Readonly<Record<string, Partial<VendorTypes>>> = {
  overloaded: { anthropic: 'overloaded_error' },
};

export function vendorType(vendor: keyof VendorTypes, code: string, row: ErrorRow): string {
  return byCode[code]?.[vendor] ?? byStatus[row.status]?.[vendor] ?? byType[row.type][vendor];
}
