import { DocumentFeed } from "../documents/document-feed.ts";
import { documentRoutes } from "../documents/document-routes.ts";
import { Documents } from "../documents/documents.ts";
import { Merger } from "../documents/merger.ts";
import type { Route } from "../request/route.ts";
import type { Feed } from "../sync/feed.ts";
import type { Base } from "./base.ts";

/** The parts of a server that concern documents. */
export interface DocumentParts {
  readonly merger: Merger;
  readonly feed: DocumentFeed;
  readonly routes: readonly Route[];
}

/** Creates the documents, which cost nothing until one is used. */
export function documentsOf({ store, options, data }: Base, feed: Feed): DocumentParts {
  const { config, log, platform } = options;
  const { committer, model } = data;
  const merger = new Merger(platform, config.maxRowBytes, (message) => log.warn(message));
  const documents = new Documents({ store, committer, model, platform, merger });
  committer.onDeleteCascade(documents);
  const onError = (error: unknown): void => log.error("documents failed", error);
  const documentFeed = new DocumentFeed({ store, documents, onError, platform });
  feed.followWith(documentFeed);
  return { merger, feed: documentFeed, routes: documentRoutes(documents) };
}
