"""The built-in model's recipe: how the weights that ship were trained; nothing that users run imports it."""
