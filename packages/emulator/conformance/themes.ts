import type { Theme } from './check.ts';
import { apiVersions } from './checks/api-versions.ts';
import { attributes } from './checks/attributes.ts';
import { backups } from './checks/backup.ts';
import { challenge } from './checks/challenge.ts';
import { concurrency } from './checks/concurrency.ts';
import { currentVersion } from './checks/current-version.ts';
import { errors } from './checks/errors.ts';
import { headers } from './checks/headers.ts';
import { limits } from './checks/limits.ts';
import { listing } from './checks/lists.ts';
import { managedIdentity } from './checks/managed-identity.ts';
import { paging } from './checks/paging.ts';
import { purging } from './checks/purge.ts';
import { rbac } from './checks/rbac.ts';
import { recovering } from './checks/recover.ts';
import { setting } from './checks/set.ts';
import { softDelete } from './checks/soft-delete.ts';
import { tags } from './checks/tags.ts';
import { throttling } from './checks/throttling.ts';
import { unicode } from './checks/unicode.ts';
import { updating } from './checks/update.ts';

/** The whole suite. */
export const themes: readonly Theme[] = [
  challenge,
  setting,
  currentVersion,
  updating,
  attributes,
  tags,
  limits,
  unicode,
  listing,
  paging,
  softDelete,
  recovering,
  purging,
  backups,
  errors,
  headers,
  concurrency,
  apiVersions,
  rbac,
  managedIdentity,
  throttling,
];
