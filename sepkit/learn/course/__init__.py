"""What a teacher needs, made from the notebooks: ``make course``.

`cells` finds a chapter's exercises, `versions` makes the notebooks for students and with
solutions, `assignments` those for nbgrader and Otter, `guide` the instructor's text, `slides`
the figures. `build.build` writes all of it.
"""
