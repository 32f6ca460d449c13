"""Throwing exceptions: the caller gets them, the actor goes on; a failed constructor, a killed actor."""

import actorio as ray

ray.init()


@ray.remote
class Account:
    def __init__(self, balance: float, minimal_balance: float):
        self.minimal = minimal_balance
        if balance < minimal_balance:
            raise Exception("Starting balance is less then minimal balance")
        self.balance = balance

    def balance(self) -> float:
        return self.balance

    def deposit(self, amount: float) -> float:
        if amount < 0:
            raise Exception("Can not deposit negative amount")
        self.balance = self.balance + amount
        return self.balance

    def withdraw(self, amount: float) -> float:
        if amount < 0:
            raise Exception("Can not withdraw negative amount")
        balance = self.balance - amount
        if balance < self.minimal:
            raise Exception("Withdraw is not supported by current balance")
        self.balance = balance
        return balance


account_actor = Account.remote(balance=100., minimal_balance=20.)

print(f"Current balance {ray.get(account_actor.balance.remote())}")
print(f"New balance {ray.get(account_actor.withdraw.remote(40.))}")
try:
    print(f"New balance {ray.get(account_actor.withdraw.remote(-40.))}")
except Exception as e:
    print(f"Oops! {e} occurred.")

try:
    print(f"New balance {ray.get(account_actor.deposit.remote(-30.))}")
except Exception as e:
    print(f"Oops! {e} occurred.")

print(f"New balance {ray.get(account_actor.deposit.remote(30.))}")

# The constructor's exception reaches whoever calls a method.
poor_actor = Account.remote(balance=10., minimal_balance=20.)
try:
    print(f"Current balance {ray.get(poor_actor.balance.remote())}")
except ray.exceptions.RayActorError as e:
    print(f"Oops! {e} occurred.")

ray.kill(account_actor)

try:
    print(f"Current balance {ray.get(account_actor.balance.remote())}")
except ray.exceptions.RayActorError as e:
    print(f"Killed: {type(e).__name__}")
