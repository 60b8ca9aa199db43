"""Flask-AppBuilder views and their WTForms."""
