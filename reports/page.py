"""The HTML page. Stands on pytest-html."""
