"""Tables as people have them: CSV of any dialect, workbooks, JSON; and the reader that makes records of their rows."""
