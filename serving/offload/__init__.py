"""Bodies read and answers written: here where that is quick, in a process beside where everybody else would wait."""
