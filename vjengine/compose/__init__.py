"""The picture as the audience sees it: shaders, feedback, grade, HUD. moderngl only; no windows here."""
