"""Project folders: what is wanted in Markdown, how it is made in YAML, and a folder for every run.

::

    NAME/
    ├── prompt.md         title, mode, backend; what is to be seen, what not, the style, how it moves
    ├── settings.yaml     size, rate, seeds, retries, the backend's own settings, the final film
    ├── inputs/           picture, video or track that it begins with and goes by
    └── runs/RUN/
        ├── base.run/           the state, as the run loop keeps it: see vjengine.offline.manifest
        ├── state.json          what `status` shows: cycles, last error
        ├── config/             prompt.md and settings.yaml as they were
        ├── images/             the first picture, and the last one of each cycle
        ├── clips/              one of each cycle
        ├── base.mp4            the film as made
        └── NAME-RUN.mp4        the final film
"""
