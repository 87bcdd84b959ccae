"""Answers from the desk's articles, and when to fetch a human instead.

`article` the noun · `words` text to features · `index` the vector space · `knowledge` the search ·
`decide` sure, unsure or none, and the thresholds (pure) · `dialogue` what happens around an answer (pure) ·
`calibration` thresholds from labelled questions, and what they hold (pure) · `embedding` a model as a plug-in ·
`unanswered` the work list · `store` what conversations tell of articles · `bench` the figures · `curve` how they were chosen.

Decisions
- In-process index, no service and no shipped model (2026-11): an article is the sum of its question variants (a
  centroid) plus its nearest variant. On BANKING77 with five questions an article that beats nearest-neighbour
  TF-IDF by 7 points. Price: the index lives in every process (about 15 kB an article) and is built at the first
  query; each language's lemma table takes 20-50 MB from then on. SQLite's FTS5 and PostgreSQL's own search would
  share the index, but BM25 and ts_rank have no scale on which "I don't know" can be told, differ from each other
  (the same desk would answer otherwise on the other database), and took 20-54 ms a query where this takes 5.
- What the index has never seen counts as length of the query: an off-topic question is mostly such words, so its
  score falls. This halves the off-topic questions that are answered (CLINC150).
- Confidence is one logistic curve over score and margin, fitted on public data (`bench`); the bands on it are set
  by `stafett kb calibrate` from the desk's own labelled questions.
"""
