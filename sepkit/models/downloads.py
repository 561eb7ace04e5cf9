def manifest():
    return {}
