import type { Announcement } from './fleet.ts';

/** Hands announcements to whoever is connected, and the standing ones to whoever connects later. */
export interface Announcements {
  announce(announcement: Announcement): void;
  /** Calls back with what stands and with all that follows, each with a number that grows. Returns the way out. */
  subscribe(listener: (announcement: Announcement, id: number) => void): () => void;
}

export function openAnnouncements(): Announcements {
  const standing = new Map<string, { announcement: Announcement; id: number }>();
  const listeners = new Set<(announcement: Announcement, id: number) => void>();
  let lastId = 0;
  return {
    announce(announcement) {
      if (standing.get(announcement.secret)?.announcement.version === announcement.version) return;
      lastId += 1;
      standing.set(announcement.secret, { announcement, id: lastId });
      for (const listener of listeners) listener(announcement, lastId);
    },
    subscribe(listener) {
      listeners.add(listener);
      for (const { announcement, id } of standing.values()) listener(announcement, id);
      return () => listeners.delete(listener);
    },
  };
}
