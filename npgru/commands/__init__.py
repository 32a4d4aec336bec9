"""One module a command: add(commands) says its arguments, run(args) calls what does the work. No maths here."""
