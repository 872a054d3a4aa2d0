"""The rules' functions: `rules/<family>/<rule>.md` is checked by the function `<rule>` in `<family>.py`."""
