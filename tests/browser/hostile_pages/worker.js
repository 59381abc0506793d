// A service worker that some app wrote in a hurry: whatever can be kept is kept, and served first.
self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
self.addEventListener("fetch", (event) => event.respondWith(served(event.request)));

async function served(request) {
  const cache = await caches.open("everything");
  const kept = await cache.match(request, { ignoreVary: true });
  if (kept) return kept;
  const answer = await fetch(request);
  await cache.put(request, answer.clone()).catch(() => {});
  return answer;
}
