"""A real ComfyUI around this checkout, in an environment of its own; standard library only.

environment   what `.host/` holds, and whether it is whole
installation  the stages that make it
integrity     are the installed files still there?
display       one line of progress per stage, pip's words to a log file
demo          the inputs of the demo workflow
server        ComfyUI as a child process
client        its HTTP interface
websocket     its live events
ui_workflow   the graph as the browser saves it, turned into what the server runs
own_files     the user's video, speech and style put into a graph
running       a workflow from file to finished video
"""
