import type pg from 'pg';
import { databaseError } from './database-error.ts';

/**
 * Makes tables of Keyturn's own if they aren't there. One replica at a time: PostgreSQL's `if not exists` fails where
 * two do it at once. Several statements in one request are one transaction.
 */
export async function makeTables(pool: pg.Pool, statements: string): Promise<void> {
  try {
    await pool.query(`
      select pg_advisory_xact_lock(hashtextextended('keyturn tables', 0));
      create schema if not exists keyturn;
      ${statements}`);
  } catch (error) {
    throw databaseError(error);
  }
}
