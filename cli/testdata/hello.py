def execute(current_user, **kwargs):
    return {"sent": 1}
