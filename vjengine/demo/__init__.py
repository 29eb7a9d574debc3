"""The bundled show: a dance track, the script that made it, and a recorded performance."""
