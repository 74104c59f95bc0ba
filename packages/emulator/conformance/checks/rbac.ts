import assert from 'node:assert/strict';
import { dataPlane, type Check, type Theme } from '../check.ts';
import type { IdentityName } from '../identities.ts';
import { tokenOf } from '../identity-wire.ts';
import type { Method, RawAnswer } from '../raw-call.ts';
import type { Subject } from '../subject.ts';
import { assertRefused, assertRejected, deleted, pageIn, set } from '../wire.ts';

const roles = dataPlane('"RBAC data actions … Roles: …"');
const forbidden = { status: 403, code: 'Forbidden', inner: 'ForbiddenByRbac' };

type Operation = 'get' | 'list' | 'set' | 'update' | 'backup' | 'restore' | 'delete' | 'recover' | 'purge';
const operations: readonly Operation[] = [
  'get',
  'list',
  'set',
  'update',
  'backup',
  'restore',
  'delete',
  'recover',
  'purge',
];

const requests: Readonly<Record<Operation, (name: string) => readonly [Method, string, unknown?]>> = {
  get: (name) => ['GET', `/secrets/${name}`],
  list: () => ['GET', '/secrets'],
  set: (name) => ['PUT', `/secrets/${name}`, { value: 'y' }],
  update: (name) => ['PATCH', `/secrets/${name}/`, { tags: {} }],
  backup: (name) => ['POST', `/secrets/${name}/backup`],
  restore: () => ['POST', '/secrets/restore', { value: 'AAAA' }],
  delete: (name) => ['DELETE', `/secrets/${name}`],
  recover: (name) => ['POST', `/deletedsecrets/${name}/recover`],
  purge: (name) => ['DELETE', `/deletedsecrets/${name}`],
};

async function attempt(
  vault: Subject,
  { who, what, on }: { readonly who: IdentityName; readonly what: Operation; readonly on: string },
): Promise<RawAnswer> {
  const [method, path, body] = requests[what](on);
  const token = await tokenOf(vault, who);
  return vault.call(method, path, { token, ...(body === undefined ? {} : { body }) });
}

/** A secret of its own for the operation, deleted where the operation is for deleted ones. */
async function prepared(vault: Subject, what: Operation): Promise<string> {
  const name = vault.fresh();
  await set(vault, name, { value: 'x' });
  if (what === 'recover' || what === 'purge') await deleted(vault, name);
  return name;
}

const may = (who: IdentityName, role: string, allowed: readonly Operation[]): Check => ({
  name: `${role} may ${allowed.length === 0 ? 'do nothing' : allowed.join(', ')}, and nothing else`,
  source: roles,
  needs: 'identities',
  run: async (vault) => {
    for (const what of operations) {
      const answer = await attempt(vault, { who, what, on: await prepared(vault, what) });
      if (!allowed.includes(what)) assertRefused(answer, forbidden);
      // What is restored here is no backup, and refused as such only after the rights were found sufficient.
      else if (what === 'restore') assertRefused(answer, { status: 400, code: 'Malformed backup blob' });
      else assert.ok(answer.status === 200 || answer.status === 204, `${what}: ${answer.status}`);
    }
  },
});

export const rbac: Theme = {
  name: 'RBAC',
  checks: [
    may('user', 'Key Vault Secrets User', ['get', 'list']),
    may('reader', 'Key Vault Reader', ['list']),
    may('officer', 'Key Vault Secrets Officer', operations),
    may('caller', 'Key Vault Administrator', operations),
    may('nobody', 'an identity without a role', []),
    {
      name: 'a role for one secret lets its holder read that one',
      source: dataPlane('"Role assignments can be scoped to one secret"'),
      needs: 'identities',
      run: async (vault) => {
        const answer = await attempt(vault, { who: 'userOfOneSecret', what: 'get', on: 'granted' });
        assert.deepEqual([answer.status, answer.text.includes('value of granted')], [200, true]);
      },
    },
    {
      name: 'a role for one secret opens no other',
      source: dataPlane('"Role assignments can be scoped to one secret"'),
      needs: 'identities',
      run: async (vault) => {
        const answer = await attempt(vault, { who: 'userOfOneSecret', what: 'get', on: 'withheld' });
        assertRefused(answer, forbidden);
        assert.ok(!answer.text.includes('value of withheld'), 'the value is not in the answer');
      },
    },
    {
      name: 'a role for one secret doesn’t open the list of all',
      source: dataPlane('"LIST … needs the list permission"'),
      needs: 'identities',
      run: async (vault) =>
        assertRefused(
          await attempt(vault, { who: 'userOfOneSecret', what: 'list', on: 'granted' }),
          forbidden,
        ),
    },
    {
      name: 'a role for one secret counts for its name in any case',
      source: dataPlane('"name …, case-insensitive"'),
      needs: 'identities',
      run: async (vault) => {
        const answer = await attempt(vault, { who: 'userOfOneSecret', what: 'get', on: 'GRANTED' });
        assert.equal(answer.status, 200);
      },
    },
    {
      name: 'a refused set has set nothing, a refused delete deleted nothing',
      source: roles,
      needs: 'identities',
      run: async (vault) => {
        const name = await prepared(vault, 'set');
        for (const what of ['set', 'delete'] as const)
          assertRefused(await attempt(vault, { who: 'reader', what, on: name }), forbidden);
        const answer = await vault.call('GET', `/secrets/${name}/versions`);
        assert.equal(pageIn(answer).value.length, 1);
      },
    },
    {
      name: 'the client library reports a missing role as Forbidden with ForbiddenByRbac inside',
      source: dataPlane('"403 for a missing role: Forbidden + innererror ForbiddenByRbac"'),
      needs: 'identities',
      run: async (vault) => {
        const token = await tokenOf(vault, 'nobody');
        const client = vault.newClient({
          additionalPolicies: [
            {
              position: 'perRetry',
              policy: {
                name: 'another caller',
                sendRequest(request, next) {
                  request.headers.set('Authorization', `Bearer ${token}`);
                  return next(request);
                },
              },
            },
          ],
        });
        await assertRejected(client.getSecret('granted'), {
          status: 403,
          code: 'Forbidden',
          inner: 'ForbiddenByRbac',
        });
      },
    },
  ],
};
