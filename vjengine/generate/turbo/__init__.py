"""The turbo image loop: few-step diffusion on its own last picture, steered by the control state.

Nothing here is imported before a turbo generator is asked for; torch and diffusers load inside its own process.
"""
