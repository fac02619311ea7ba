"""Values that are more than a number: what they are, and the bytes that stand for them.

`import runstream` does not load this; `runstream.Image` and the others do, each its own module.
"""
