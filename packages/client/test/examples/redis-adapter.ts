import { isRefusal, type Hold, type Secrets } from '@keyturn/client';

/** The part of ioredis that is needed. */
interface Redis {
  readonly options: { password?: string | null };
  auth(password: string): Promise<unknown>;
}

/** Keeps a connection on the newest version: AUTH on the open socket, no reconnect. Returns what stops it. */
export async function followSecret(secrets: Secrets, name: string, redis: Redis): Promise<() => void> {
  let held: { hold: Hold; version: string } | undefined;
  let turn = Promise.resolve();

  async function logIn(): Promise<void> {
    const secret = await secrets.get(name);
    if (secret.version === held?.version) return;
    const hold = secrets.hold(name, secret.version); // before the first login with it
    try {
      await redis.auth(secret.reveal());
    } catch (error) {
      if (isRefusal(error)) await hold.refused(); // reads past the cache; 'changed' follows if that helped
      return hold.release(); // the old version is still in use
    }
    redis.options.password = secret.reveal(); // for reconnects
    hold.authenticated();
    held?.hold.release(); // nothing uses the old version any more
    held = { hold, version: secret.version };
  }

  const follow = () => (turn = turn.then(logIn));
  const unsubscribe = secrets.on('changed', (event) => {
    if (event.name === name) void follow();
  });
  await follow();
  return () => {
    unsubscribe();
    held?.hold.release();
  };
}
